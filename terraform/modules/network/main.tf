locals {
  machines = concat(var.servers, var.nodes)

  # Who may open what, each line once: security groups, firewalls and nftables are made of this table.
  table = {
    ssh                   = { to = ["server", "node"], protocol = "tcp", ports = [22, 22], sources = var.operators, description = "ssh" }
    nomad-api             = { to = ["server"], protocol = "tcp", ports = [4646, 4646], sources = concat(local.machines, var.operators), description = "Nomad API" }
    nomad-rpc             = { to = ["server"], protocol = "tcp", ports = [4647, 4647], sources = local.machines, description = "Nomad RPC" }
    nomad-gossip-tcp      = { to = ["server"], protocol = "tcp", ports = [4648, 4648], sources = var.servers, description = "Nomad gossip" }
    nomad-gossip-udp      = { to = ["server"], protocol = "udp", ports = [4648, 4648], sources = var.servers, description = "Nomad gossip" }
    consul-rpc            = { to = ["server"], protocol = "tcp", ports = [8300, 8300], sources = concat(local.machines, var.wan_servers), description = "Consul RPC" }
    consul-gossip-tcp     = { to = ["server", "node"], protocol = "tcp", ports = [8301, 8301], sources = local.machines, description = "Consul gossip" }
    consul-gossip-udp     = { to = ["server", "node"], protocol = "udp", ports = [8301, 8301], sources = local.machines, description = "Consul gossip" }
    consul-gossip-wan-tcp = { to = ["server"], protocol = "tcp", ports = [8302, 8302], sources = var.wan_servers, description = "Consul gossip between datacenters" }
    consul-gossip-wan-udp = { to = ["server"], protocol = "udp", ports = [8302, 8302], sources = var.wan_servers, description = "Consul gossip between datacenters" }
    vault-api             = { to = ["server"], protocol = "tcp", ports = [8200, 8200], sources = concat(local.machines, var.operators), description = "Vault API" }
    vault-cluster         = { to = ["server"], protocol = "tcp", ports = [8201, 8201], sources = var.servers, description = "Vault cluster" }
    console               = { to = ["node"], protocol = "tcp", ports = [var.console_port, var.console_port], sources = var.users, description = "console" }
    # Rendezvous has a port of Nomad's, but collectives listen on any that is free.
    workers = { to = ["node"], protocol = "tcp", ports = [1024, 65535], sources = var.nodes, description = "workers to each other" }
  }

  rules = {
    for rule in flatten([
      for name, row in local.table : [
        for role in row.to : merge(row, { name = name, role = role, sources = distinct(row.sources) }) if length(row.sources) > 0
      ]
    ]) : "${rule.role}-${rule.name}" => rule
  }
}
