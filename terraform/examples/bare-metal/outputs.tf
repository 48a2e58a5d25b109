output "nomad_addr" {
  description = "NOMAD_ADDR of the console and of the nomad command."
  value       = module.servers.api
}

output "vault_addr" {
  description = "VAULT_ADDR of the console and of the vault command."
  value       = module.vault.address
}

output "keys" {
  description = "Where the cluster's keys and first tokens are: on each server, for root alone."
  value       = "/etc/cotrain-cluster/keys"
}
