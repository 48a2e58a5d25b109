terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "~> 5.0"
    }
  }
}

# VAULT_ADDR, VAULT_CACERT and VAULT_TOKEN say which Vault and who.
provider "vault" {}
