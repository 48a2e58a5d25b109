output "script" {
  description = "Script of a node without a name, for the template of a cloud's instances: it holds no secret."
  value       = module.nodes.script
}

output "scripts" {
  description = "Script of each named node."
  value       = module.nodes.scripts
}

output "node_rules" {
  description = "What the site's own firewall lets in to its nodes; see module network."
  value       = { for name, rule in module.network.rules : name => rule if rule.role == "node" && !startswith(rule.description, "Consul") }
}

output "server_rules" {
  description = "What the firewall of the servers has to let in from this site."
  value = {
    for name, rule in module.network.rules : "${var.name}-${name}" => merge(rule, { sources = var.ranges })
    if rule.role == "server" && contains(["Nomad RPC", "Vault API"], rule.description)
  }
}
