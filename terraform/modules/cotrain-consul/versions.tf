terraform {
  required_version = ">= 1.11.0, < 2.0.0"

  required_providers {
    consul = {
      source  = "hashicorp/consul"
      version = "~> 2.23"
    }
  }
}
