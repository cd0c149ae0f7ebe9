output "mr_prober_hosts" {
  description = "The hosts that should report to the API."
  value = {
    for node, instance in yandex_compute_instance.agent :
    instance.hostname => {
      address = instance.network_interface[0].ip_address
      labels = {
        zone         = instance.zone
        node         = node
        node_id      = local.nodes[node].id
        node_address = local.nodes[node].address
      }
    }
  }
}
