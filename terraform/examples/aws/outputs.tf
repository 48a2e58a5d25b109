output "nomad_addr" {
  description = "NOMAD_ADDR of the console and of the nomad command, within the network."
  value       = module.servers.api
}

output "vault_addr" {
  description = "VAULT_ADDR of the console and of the vault command, within the network."
  value       = module.vault.address
}

output "autoscaling_group" {
  description = "The group of GPU nodes, for an autoscaler or aws autoscaling set-desired-capacity."
  value       = aws_autoscaling_group.gpu.name
}
