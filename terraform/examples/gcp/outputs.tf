output "nomad_addr" {
  description = "NOMAD_ADDR of the console and of the nomad command, within the network."
  value       = module.servers.api
}

output "vault_addr" {
  description = "VAULT_ADDR of the console and of the vault command, within the network."
  value       = module.vault.address
}

output "instance_group" {
  description = "The group of GPU nodes."
  value       = google_compute_instance_group_manager.gpu.name
}
