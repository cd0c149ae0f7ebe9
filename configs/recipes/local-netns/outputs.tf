output "mr_prober_hosts" {
  description = "The hosts that should report to the API."
  value = {
    for host, machine in terraform_data.machine :
    host => {
      address = machine.triggers_replace.address
      labels  = { zone = "local" }
    }
  }
}
