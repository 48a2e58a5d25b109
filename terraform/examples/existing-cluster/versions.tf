terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    nomad = {
      source  = "hashicorp/nomad"
      version = "~> 2.6"
    }
  }
}

# NOMAD_ADDR, NOMAD_CACERT and NOMAD_TOKEN, a management token, say which cluster and who.
provider "nomad" {}
