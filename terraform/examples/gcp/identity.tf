# Keys are made on the first server and go through these secrets, whose values Terraform neither makes nor reads.
resource "google_service_account" "role" {
  for_each = toset(["server", "node"])

  account_id   = "${var.name}-${each.key}"
  display_name = "CoTrain ${each.key}s"
}

resource "google_secret_manager_secret" "keys" {
  for_each = toset(["server", "node"])

  secret_id = "${var.name}-keys-${each.key}"

  replication {
    auto {}
  }
}

locals {
  # Servers read and write both, nodes read their own.
  access = {
    server-reads-server  = { role = "server", secret = "server", right = "roles/secretmanager.secretAccessor" }
    server-writes-server = { role = "server", secret = "server", right = "roles/secretmanager.secretVersionManager" }
    server-writes-node   = { role = "server", secret = "node", right = "roles/secretmanager.secretVersionManager" }
    node-reads-node      = { role = "node", secret = "node", right = "roles/secretmanager.secretAccessor" }
  }

  token = "$(curl -sf -H 'Metadata-Flavor: Google' http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token | jq -r .access_token)"
  curl  = "curl -s -H \"Authorization: Bearer ${local.token}\""
  api   = "https://secretmanager.googleapis.com/v1"
  # A secret without a version is a new cluster; a store that does not answer is not.
  get = { for role, secret in google_secret_manager_secret.keys : role => "${local.curl} ${local.api}/${secret.id}/versions/latest:access | jq -er 'if .payload then .payload.data | @base64d elif .error.code == 404 then \"empty\" else null end'" }
  # Through a pipe, so that no process has the keys among its arguments. Versions are paid for: only the newest stays.
  put = { for role, secret in google_secret_manager_secret.keys : role => join(" && ", [
    "jq -Rs '{payload: {data: @base64}}' | ${local.curl} -f -o /dev/null -H 'Content-Type: application/json' --data-binary @- ${local.api}/${secret.id}:addVersion",
    "${local.curl} -f '${local.api}/${secret.id}/versions?filter=state:ENABLED' | jq -r '.versions[1:][].name' | while read -r old; do ${local.curl} -f -o /dev/null -X POST ${local.api}/$old:destroy; done",
  ]) }
}

resource "google_secret_manager_secret_iam_member" "access" {
  for_each = local.access

  secret_id = google_secret_manager_secret.keys[each.value.secret].id
  role      = each.value.right
  member    = google_service_account.role[each.value.role].member
}

resource "google_kms_key_ring" "cluster" {
  name     = var.name
  location = var.gcp_region
}

resource "google_kms_crypto_key" "vault" {
  name            = "vault"
  key_ring        = google_kms_key_ring.cluster.id
  rotation_period = "7776000s"

  lifecycle {
    # Without it Vault cannot be opened any more.
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "vault" {
  for_each = toset(["roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.viewer"])

  crypto_key_id = google_kms_crypto_key.vault.id
  role          = each.key
  member        = google_service_account.role["server"].member
}
