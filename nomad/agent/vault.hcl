# Vault for servers and clients: workloads log in with their own identity, and Nomad itself has no token.
#
# vault_address  URL of Vault
# vault_ca_file  file with the authority of its certificate, "" for what the machine trusts
# jwt_mount      where Vault's JWT method for Nomad is, "jwt-nomad"

vault {
  enabled               = true
  address               = "${vault_address}"
  ca_file               = "${vault_ca_file}"
  jwt_auth_backend_path = "${jwt_mount}"

  # Servers sign it for each task with a vault block; it is renewed.
  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}
