output "mr_prober_hosts" {
  description = "The hosts that should report to the API."
  value = {
    for instance in yandex_compute_instance_group.agents.instances :
    instance.name => {
      address = instance.network_interface[0].ip_address
      labels  = { zone = instance.zone_id, instance_id = instance.instance_id }
    }
  }
}
