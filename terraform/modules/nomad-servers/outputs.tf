output "scripts" {
  description = "Script of each server by name, for cloud-init: it holds no secret."
  value       = { for name, machine in module.machine : name => machine.script }
}

output "cluster" {
  description = "What nodes need to know to join, for the modules gpu-clients and site."
  value = {
    name    = var.cluster
    region  = var.region
    servers = [for machine in values(var.machines) : machine.address]
    peers   = local.peers
    # So that nodes that are reached by ssh wait for the servers.
    ready = [for machine in module.machine : machine.ready if machine.ready != null]
  }
}

output "api" {
  description = "Nomad's API, for NOMAD_ADDR: the servers, separated by commas. Certificates are for server.REGION.nomad and the addresses."
  value       = join(",", [for machine in values(var.machines) : "https://${machine.address}:4646"])
}
