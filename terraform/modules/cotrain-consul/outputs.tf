output "policy" {
  description = "Policy of the console's token: consul acl token create -policy-name cotrain-console, straight into Vault or a file."
  value       = consul_acl_policy.console.name
}
