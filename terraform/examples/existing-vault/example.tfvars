nomad_addr    = "https://nomad.example:4646"
nomad_ca_file = "ca.pem"
namespaces    = ["training", "team-a"]
create_kv     = true

database = {
  url      = "postgresql://{{username}}:{{password}}@db.example/cotrain?sslmode=verify-full"
  username = "vault"
}
