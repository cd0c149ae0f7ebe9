output "mr_prober_hosts" {
  description = "The hosts that should report to the API."
  value = {
    for host, instance in aws_instance.host :
    host => {
      address = instance.private_ip
      labels  = { zone = instance.availability_zone, instance_id = instance.id }
    }
  }
}
