output "script" {
  description = "Script of a node without a name, for the template of a cloud's instances: it holds no secret."
  value       = module.machine[""].script
}

output "scripts" {
  description = "Script of each named node."
  value       = { for name, machine in module.machine : name => machine.script if name != "" }
}
