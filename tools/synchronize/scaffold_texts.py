"""What `new` writes: a prober, a recipe and a cluster that run as they are, to be changed into real ones."""

PROBE = '''\
"""{description}. Exit 0: so it is, 1: not, 3: the prober itself is broken."""

import os
import socket
import sys
import time
import traceback


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken
# Other packages are imported here, on the top level: in `mode: warm` that happens once, not in each run.


def connected_seconds(host, port, time_limit):
    """How long it took to open a connection; OSError if it could not be opened."""
    started = time.monotonic()
    socket.create_connection((host, port), timeout=time_limit).close()
    return time.monotonic() - started


def main():
    # Variables come in upper case; one that is missing is our mistake, so exit 3.
    host, _, port = os.environ["VAR_TARGET"].rpartition(":")
    time_limit = float(os.environ.get("VAR_TIMEOUT_SECONDS", "2"))
    try:
        seconds = connected_seconds(host, int(port), time_limit)
    except OSError as error:
        sys.exit(f"no connection to {{host}}:{{port}}: {{error.strerror or error}}")
    print("# TYPE {metric}_seconds gauge")
    print(f"{metric}_seconds {{seconds:.6f}}")


if __name__ == "__main__":
    main()
'''

PROBER = """\
{modeline}description: {description}
owner: ""
runbook_url: ""
command: [python3, probe.py]
defaults:
  interval_seconds: 10
  time_limit_seconds: 3
  output: prometheus
  # mode: warm # a run then costs a fork; agent/README.md has the rules, which probe.py keeps
  variables:
    timeout_seconds: 2 # shorter than the time limit, so that the reason is ours
configs:
  everywhere:
    clusters: ["*"]
    settings:
      variables:
        target: 127.0.0.1:22 # host:port
"""

RECIPE = """\
{modeline}description: {description}
"""

MAIN_TF = """\
# A machine is one resource of this kind; a real recipe has a provider and, say, yandex_compute_instance here.
resource "terraform_data" "machine" {
  for_each = local.names
  input = {
    name  = each.key
    token = var.mr_prober_agent_token # changes when the token is rotated
  }
}

locals {
  names = toset([for number in range(var.hosts) : "${var.mr_prober_cluster}-${number + 1}"])
}
"""

VARIABLES_TF = """\
variable "hosts" {
  type        = number
  description = "How many machines"
  default     = 1
}

# Creator gives these to every recipe that declares them.
variable "mr_prober_cluster" {
  type = string
}

variable "mr_prober_api_url" {
  type = string
}

variable "mr_prober_agent_token" {
  type      = string
  sensitive = true
}
"""

OUTPUTS_TF = """\
# Hosts that are named here are expected: one that never reports is a red row, not an absent one.
output "mr_prober_hosts" {
  value = { for name in local.names : name => { address = "", labels = {} } }
}
"""

CLUSTER = """\
{modeline}# use: [common] # files of values/ that several clusters share
recipe: {recipe}
deploy_policy: approve # a person looks at each plan; automatic: Creator applies by itself
variables: {variables}
"""
