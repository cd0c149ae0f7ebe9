output "mr_prober_hosts" {
  description = "The hosts that should report to the API."
  value = {
    for host, address in var.hosts :
    host => {
      address = address
      labels  = { zone = "compose" }
    }
  }
  depends_on = [terraform_data.token]
}
