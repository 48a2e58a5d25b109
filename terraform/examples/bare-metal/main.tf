# A cluster on machines with Debian or Ubuntu that are reached by ssh: servers of Consul, Vault and Nomad, and nodes with GPUs.
locals {
  addresses = { for name, machine in merge(var.servers, var.nodes) : name => machine.address }
}

module "network" {
  source = "../../modules/network"

  servers   = [for machine in values(var.servers) : "${machine.address}/32"]
  nodes     = [for machine in values(var.nodes) : "${machine.address}/32"]
  operators = var.operators
  users     = var.users
}

module "consul" {
  source = "../../modules/consul"

  datacenter = var.site
  servers    = [for machine in values(var.servers) : machine.address]
  addresses  = local.addresses
  package    = var.packages.consul
}

module "vault" {
  source = "../../modules/vault"

  servers = { for name, machine in var.servers : name => machine.address }
  product = var.vault.product
  package = var.packages.vault
  seal    = var.vault.seal
}

module "servers" {
  source = "../../modules/nomad-servers"

  datacenter    = var.site
  machines      = var.servers
  parts         = concat([module.consul.server, module.vault.server], var.firewall ? [{ "" = module.network.part.server }] : [])
  package       = var.packages.nomad
  repositories  = var.repositories
  vault_address = module.vault.address
  consul        = true
  ssh           = var.ssh
}

module "nodes" {
  source = "../../modules/gpu-clients"

  cluster            = module.servers.cluster
  site               = var.site
  machines           = var.nodes
  parts              = concat([module.consul.client], var.firewall ? [{ "" = module.network.part.node }] : [])
  package            = var.packages.nomad
  gpu_packages       = var.packages.gpu
  container_packages = var.packages.docker
  repositories       = var.repositories
  vault_address      = module.vault.address
  consul             = true
  storage            = var.storage
  raw_exec           = var.raw_exec
  ssh                = var.ssh
}
