# A site has no servers: its nodes keep one connection to those of the cluster, and go on training while that is broken. Consul's agents are
# not among them, since one datacenter of Consul does not span a WAN; the console measures between sites by itself.
module "network" {
  source = "../network"

  servers   = [for address in var.cluster.servers : "${address}/32"]
  nodes     = distinct(concat(var.ranges, var.other_ranges))
  operators = var.operators
}

module "nodes" {
  source = "../gpu-clients"

  cluster            = var.cluster
  site               = var.name
  zone               = var.zone
  node_pool          = var.node_pool
  machines           = var.machines
  parts              = var.firewall ? [{ "" = module.network.part.node }] : []
  package            = var.package
  gpu_packages       = var.gpu_packages
  container_packages = var.container_packages
  packages           = var.packages
  repositories       = var.repositories
  keys_get           = var.keys_get
  ssh                = var.ssh
  vault_address      = var.vault_address
  storage            = var.storage
  max_kill_timeout   = var.max_kill_timeout
  raw_exec           = var.raw_exec
  drain              = var.drain
}
