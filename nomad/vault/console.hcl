# cotrain-console: the console's own settings, and whether secrets of runs are there and how runs log in; never what they are.
#
# kv_mount        KV 2 engine, "secret"
# nomad_mount     engine that makes tokens of Nomad, "nomad"
# database_mount  engine that makes users of PostgreSQL, "database"
# jwt_mount       where Vault's JWT method for Nomad is, "jwt-nomad"

path "${kv_mount}/data/cotrain" {
  capabilities = ["read"]
}

path "${nomad_mount}/creds/cotrain-console" {
  capabilities = ["read"]
}

path "${database_mount}/creds/cotrain" {
  capabilities = ["read"]
}

path "${kv_mount}/metadata/cotrain/*" {
  capabilities = ["read", "list"]
}

path "${kv_mount}/subkeys/cotrain/*" {
  capabilities = ["read"]
}

path "auth/${jwt_mount}/role/cotrain-runs" {
  capabilities = ["read"]
}
