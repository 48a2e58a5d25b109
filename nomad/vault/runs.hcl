# cotrain-runs: a run reads the secrets that all projects share, and those of its namespace.
#
# kv_mount      KV 2 engine, "secret"
# jwt_accessor  accessor of the JWT method for Nomad: vault read -field=accessor sys/auth/jwt-nomad

path "${kv_mount}/data/cotrain/shared/*" {
  capabilities = ["read"]
}

path "${kv_mount}/data/cotrain/{{identity.entity.aliases.${jwt_accessor}.metadata.nomad_namespace}}/*" {
  capabilities = ["read"]
}
