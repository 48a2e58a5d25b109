output "server" {
  description = "Part of a server, by the name of the machine."
  value       = local.part.server
}

output "client" {
  description = "Part of a node, by the name of the machine; that of the empty name is for any."
  value       = local.part.client
}
