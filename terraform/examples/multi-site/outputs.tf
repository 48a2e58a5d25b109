output "nomad_addr" {
  description = "NOMAD_ADDR of the console and of the nomad command."
  value       = module.servers.api
}

output "server_rules" {
  description = "What a firewall in front of the servers has to let in, site by site."
  value       = merge([for site in values(module.site) : site.server_rules]...)
}
