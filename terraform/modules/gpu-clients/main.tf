locals {
  nomad = "${path.module}/../../../nomad/agent"
  # Nodes without names run the same script.
  nodes = merge({ "" = { address = "", ssh_host = null, zone = null, generation = 1 } }, var.machines)

  part = {
    for name, machine in local.nodes : name => {
      roles    = ["nomad-client"]
      packages = concat(compact([var.package]), var.container_packages, var.gpu_packages)
      settings = {
        DATA_DIR      = var.data_dir
        NODE_POOL     = var.node_pool
        DRAIN_SECONDS = tostring(var.drain.deadline)
        SAVE_SECONDS  = tostring(var.drain.save)
        INTERRUPTED   = var.interruption.command
        DRAINED       = var.interruption.drained
      }
      files = merge({
        "/etc/systemd/system/nomad.service.d/cotrain.conf" = templatefile("${path.module}/nomad.conf.tftpl", {
          seconds = var.drain.deadline + var.drain.save
        })
        "/etc/nomad.d/nomad.hcl" = templatefile("${local.nomad}/gpu-client.hcl", {
          region           = var.cluster.region
          datacenter       = var.site
          zone             = coalesce(machine.zone, var.zone, var.site)
          node_pool        = var.node_pool
          data_dir         = var.data_dir
          plugin_dir       = "/opt/nomad/plugins"
          address          = machine.address == "" ? "{{ GetPrivateIP }}" : machine.address
          tls_dir          = "/etc/nomad.d/tls"
          retry_join       = jsonencode(var.cluster.servers)
          max_kill_timeout = var.max_kill_timeout
          storage_volume   = var.storage.volume
          storage_path     = var.storage.path
          raw_exec         = var.raw_exec
        })
        "/etc/nomad.d/cotrain.hcl" = templatefile("${path.module}/cotrain.hcl.tftpl", {
          name     = name
          address  = machine.address
          deadline = var.drain.deadline
        })
        }, var.consul ? {
        "/etc/nomad.d/consul.hcl" = templatefile("${local.nomad}/consul.hcl", {
          consul_address     = "127.0.0.1:8500"
          consul_auth_method = "nomad-workloads"
        })
        } : {}, var.vault_address == "" ? {} : {
        "/etc/nomad.d/vault.hcl" = templatefile("${local.nomad}/vault.hcl", {
          vault_address = var.vault_address
          vault_ca_file = "/etc/nomad.d/tls/ca.pem"
          jwt_mount     = "jwt-nomad"
        })
      })
    }
  }
}

module "machine" {
  source   = "../machine"
  for_each = local.nodes

  name    = each.key
  cluster = var.cluster.name
  region  = var.cluster.region
  address = each.value.address
  parts = concat([local.part[each.key]], [
    for parts in var.parts : parts[contains(keys(parts), each.key) ? each.key : ""] if length(setintersection(keys(parts), [each.key, ""])) > 0
  ])
  repositories = var.repositories
  packages     = var.packages
  keys         = { get = var.keys_get }
  generation   = each.value.generation
  ssh = var.ssh == null || each.key == "" ? null : {
    host    = each.value.ssh_host
    user    = var.ssh.user
    port    = var.ssh.port
    options = var.ssh.options
    peers   = var.cluster.peers
  }
}
