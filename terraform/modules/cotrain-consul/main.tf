locals {
  consul = "${path.module}/../../../nomad/consul"
  rule = var.job == null ? null : jsondecode(templatefile("${local.consul}/binding-rule.json", {
    consul_auth_method = var.job.method
    console_namespace  = var.job.namespace
  }))
}

resource "consul_acl_policy" "console" {
  name        = "cotrain-console"
  description = "CoTrain's console"
  rules       = templatefile("${local.consul}/console.hcl", { consul_service = var.service })
}

resource "consul_acl_role" "console" {
  count = var.job == null ? 0 : 1

  name        = "cotrain-console"
  description = "CoTrain's console"
  policies    = [consul_acl_policy.console.id]
}

resource "consul_acl_auth_method" "nomad" {
  count = var.job == null ? 0 : 1

  name        = var.job.method
  type        = "jwt"
  description = "Workloads of Nomad"
  config_json = jsonencode(jsondecode(templatefile("${local.consul}/jwt-config.json", {
    jwks_url    = var.job.jwks_url
    jwks_ca_pem = jsonencode(var.job.jwks_ca)
  })))
}

resource "consul_acl_binding_rule" "console" {
  count = var.job == null ? 0 : 1

  auth_method = consul_acl_auth_method.nomad[0].name
  description = local.rule.Description
  bind_type   = local.rule.BindType
  bind_name   = consul_acl_role.console[0].name
  selector    = local.rule.Selector
}
