locals {
  names = concat([""], keys(var.addresses))

  configuration = {
    for kind in ["server", "client"] : kind => {
      for name in local.names : name => templatefile("${path.module}/agent.hcl.tftpl", {
        name           = name
        kind           = kind
        server         = kind == "server"
        address        = lookup(var.addresses, name, "") == "" ? "{{ GetPrivateIP }}" : var.addresses[name]
        datacenter     = var.datacenter
        primary        = var.primary_datacenter
        expect         = length(var.servers)
        retry_join     = jsonencode(var.servers)
        retry_join_wan = jsonencode(var.wan_servers)
      })
    }
  }

  policies = {
    "/etc/cotrain-cluster/policies/consul-agent.hcl" = file("${path.module}/agent-policy.hcl")
    "/etc/cotrain-cluster/policies/nomad-server.hcl" = file("${path.module}/../../../nomad/consul/nomad-server.hcl")
    "/etc/cotrain-cluster/policies/nomad-client.hcl" = file("${path.module}/../../../nomad/consul/nomad-client.hcl")
  }

  part = {
    for kind in ["server", "client"] : kind => {
      for name in local.names : name => {
        roles    = ["consul-${kind}"]
        packages = compact([var.package])
        settings = { CONSUL_DATACENTER = var.datacenter }
        files    = merge({ "/etc/consul.d/consul.hcl" = local.configuration[kind][name] }, kind == "server" ? local.policies : {})
      }
    }
  }
}
