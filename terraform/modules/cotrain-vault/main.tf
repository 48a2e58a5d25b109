locals {
  vault = "${path.module}/../../../nomad/vault"
  roles = {
    cotrain-runs = jsondecode(templatefile("${local.vault}/jwt-role-runs.json", { namespaces = jsonencode(var.namespaces) }))
    cotrain-console = jsondecode(templatefile("${local.vault}/jwt-role-console.json", {
      console_namespace = var.console_namespace
    }))
  }
  config = jsondecode(templatefile("${local.vault}/jwt-config.json", {
    jwks_url    = var.jwks_url
    jwks_ca_pem = jsonencode(var.jwks_ca)
  }))
}

resource "vault_mount" "kv" {
  count = var.create_kv ? 1 : 0

  path        = var.kv_mount
  type        = "kv-v2"
  description = "Secrets of CoTrain and its runs"
}

resource "vault_jwt_auth_backend" "nomad" {
  path               = var.jwt_mount
  description        = "Workloads of Nomad"
  jwks_url           = local.config.jwks_url
  jwks_ca_pem        = local.config.jwks_ca_pem
  jwt_supported_algs = local.config.jwt_supported_algs
}

resource "vault_policy" "runs" {
  name = "cotrain-runs"
  policy = templatefile("${local.vault}/runs.hcl", {
    kv_mount     = var.kv_mount
    jwt_accessor = vault_jwt_auth_backend.nomad.accessor
  })
}

resource "vault_policy" "console" {
  name = "cotrain-console"
  policy = templatefile("${local.vault}/console.hcl", {
    kv_mount       = var.kv_mount
    nomad_mount    = try(var.nomad_engine.mount, "nomad")
    database_mount = try(var.database.mount, "database")
    jwt_mount      = var.jwt_mount
  })
}

resource "vault_jwt_auth_backend_role" "role" {
  for_each = local.roles

  backend                 = vault_jwt_auth_backend.nomad.path
  role_name               = each.key
  role_type               = each.value.role_type
  bound_audiences         = each.value.bound_audiences
  bound_claims_type       = each.value.bound_claims_type
  bound_claims            = { for claim, values in each.value.bound_claims : claim => join(",", values) }
  user_claim              = each.value.user_claim
  user_claim_json_pointer = each.value.user_claim_json_pointer
  claim_mappings          = each.value.claim_mappings
  token_type              = each.value.token_type
  token_policies          = each.value.token_policies
  token_period            = each.value.token_period
}

resource "vault_nomad_secret_backend" "nomad" {
  count = var.nomad_engine == null ? 0 : 1

  backend          = var.nomad_engine.mount
  description      = "Tokens of Nomad"
  address          = var.nomad_engine.address
  ca_cert          = var.nomad_engine.ca
  token_wo         = var.nomad_token
  token_wo_version = var.nomad_engine.token_version
}

resource "vault_nomad_secret_role" "console" {
  count = var.nomad_engine == null ? 0 : 1

  backend  = vault_nomad_secret_backend.nomad[0].backend
  role     = "cotrain-console"
  type     = local.nomad_role.type
  global   = local.nomad_role.global
  policies = local.nomad_role.policies
}

locals {
  nomad_role = var.nomad_engine == null ? null : jsondecode(templatefile("${local.vault}/nomad-role.json", {
    nomad_policies = jsonencode(var.nomad_engine.policies)
  }))
}

resource "vault_mount" "database" {
  count = var.database == null ? 0 : 1

  path        = var.database.mount
  type        = "database"
  description = "Users of PostgreSQL"
}

resource "vault_database_secret_backend_connection" "console" {
  count = var.database == null ? 0 : 1

  backend       = vault_mount.database[0].path
  name          = "cotrain"
  allowed_roles = ["cotrain"]

  postgresql {
    connection_url      = var.database.url
    username            = var.database.username
    password_wo         = var.database_password
    password_wo_version = var.database.password_version
  }
}

# Tables belong to the owner, whatever the user is called today.
resource "vault_database_secret_backend_role" "console" {
  count = var.database == null ? 0 : 1

  backend     = vault_mount.database[0].path
  name        = "cotrain"
  db_name     = vault_database_secret_backend_connection.console[0].name
  default_ttl = var.database.ttl
  max_ttl     = 24 * var.database.ttl
  creation_statements = [
    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE \"${var.database.owner}\";",
    "ALTER ROLE \"{{name}}\" SET role = '${var.database.owner}';",
  ]
  revocation_statements = ["DROP ROLE IF EXISTS \"{{name}}\";"]
}
