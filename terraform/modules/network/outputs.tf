output "rules" {
  description = "What may come in, by a name: role (server or node), protocol, from_port, to_port, sources, description. Everything else may not; what goes out may."
  value = {
    for name, rule in local.rules : name => {
      role        = rule.role
      protocol    = rule.protocol
      from_port   = rule.ports[0]
      to_port     = rule.ports[1]
      sources     = rule.sources
      description = rule.description
    }
  }
}

output "part" {
  description = "Part of a machine that has no firewall around it, by role (server or node): the same rules for nftables."
  value = {
    for role in ["server", "node"] : role => {
      packages = ["nftables"]
      files = {
        "/etc/cotrain-cluster/firewall.nft" = templatefile("${path.module}/firewall.nft.tftpl", {
          rules = { for name, rule in local.rules : name => rule if rule.role == role }
        })
      }
    }
  }
}
