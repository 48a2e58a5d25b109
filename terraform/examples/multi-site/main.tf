# One region of Nomad: servers at one place, GPU nodes at several. Runs stay within a site or span sites, as DiLoCo allows.
locals {
  ranges     = { for name, site in var.sites : name => site.ranges }
  repository = merge(var.repository, { name = "cluster" })
}

module "network" {
  source = "../../modules/network"

  servers   = [for machine in values(var.servers) : "${machine.address}/32"]
  nodes     = distinct(flatten(values(local.ranges)))
  operators = var.operators
}

module "servers" {
  source = "../../modules/nomad-servers"

  datacenter   = "servers"
  machines     = var.servers
  parts        = [{ "" = module.network.part.server }]
  package      = var.packages.nomad
  repositories = [local.repository]
  ssh          = var.ssh
}

module "site" {
  source   = "../../modules/site"
  for_each = var.sites

  name         = each.key
  cluster      = module.servers.cluster
  machines     = each.value.machines
  node_pool    = each.value.node_pool
  ranges       = each.value.ranges
  other_ranges = flatten([for name, ranges in local.ranges : ranges if name != each.key])
  operators    = var.operators
  firewall     = true
  package      = var.packages.nomad
  gpu_packages = var.packages.gpu
  repositories = [merge(local.repository, { uri = coalesce(each.value.repository, local.repository.uri) })]
  ssh          = var.ssh
}
