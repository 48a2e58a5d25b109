locals {
  nomad = "${path.module}/../../../nomad/agent"
  first = coalesce(var.first, sort(keys(var.machines))[0])
  peers = var.ssh == null ? [] : [
    for name in concat([local.first], [for name in sort(keys(var.machines)) : name if name != local.first]) :
    "${var.ssh.user}@${coalesce(var.machines[name].ssh_host, var.machines[name].address)}"
  ]

  part = {
    for name, machine in var.machines : name => {
      roles    = ["nomad-server"]
      packages = compact([var.package])
      settings = {
        DATA_DIR         = var.data_dir
        NODES_PUT        = var.keys.nodes_put
        NODE_POOL        = var.node_pool
        INTRO_TTL        = var.introduction_ttl
        CERTIFICATE_DAYS = tostring(var.certificate_days)
      }
      files = merge({
        "/etc/systemd/system/nomad.service.d/cotrain.conf" = file("${path.module}/nomad.conf")
        "/etc/nomad.d/nomad.hcl" = templatefile("${local.nomad}/server.hcl", {
          region           = var.region
          datacenter       = var.datacenter
          data_dir         = var.data_dir
          address          = machine.address
          tls_dir          = "/etc/nomad.d/tls"
          bootstrap_expect = length(var.machines)
          retry_join       = jsonencode([for other in values(var.machines) : other.address])
        })
        "/etc/nomad.d/cotrain.hcl" = templatefile("${path.module}/cotrain.hcl.tftpl", {
          name             = name
          introduction     = var.introduction
          introduction_ttl = var.introduction_ttl
        })
        # The machine puts its own key there: cotrain-cluster start.
        "/etc/cotrain-cluster/gossip.hcl" = templatefile("${local.nomad}/gossip.hcl", { gossip_key = "GOSSIP_KEY" })
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
  for_each = var.machines

  name    = each.key
  cluster = var.cluster
  region  = var.region
  address = each.value.address
  first   = each.key == local.first
  parts = concat([local.part[each.key]], [
    for parts in var.parts : parts[contains(keys(parts), each.key) ? each.key : ""] if length(setintersection(keys(parts), [each.key, ""])) > 0
  ])
  repositories = var.repositories
  packages     = var.packages
  keys         = { get = var.keys.get, put = var.keys.put }
  generation   = each.value.generation
  ssh = var.ssh == null ? null : {
    host    = each.value.ssh_host
    user    = var.ssh.user
    port    = var.ssh.port
    options = var.ssh.options
    peers   = local.peers
  }
}
