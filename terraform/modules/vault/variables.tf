variable "servers" {
  description = "Address of each server, by the name of its machine: 3 or 5, 1 to try it out."
  type        = map(string)

  validation {
    condition     = length(var.servers) % 2 == 1
    error_message = "An odd number of servers: an even one tolerates no more failures than one less."
  }

  validation {
    condition     = alltrue([for address in values(var.servers) : can(cidrhost("${address}/32", 0))])
    error_message = "Addresses are IPv4 addresses: certificates name them."
  }
}

variable "product" {
  description = "vault, or openbao, which speaks the same API."
  type        = string
  default     = "vault"

  validation {
    condition     = contains(["vault", "openbao"], var.product)
    error_message = "The product is vault or openbao."
  }
}

variable "package" {
  description = "Its package, with =version to pin it; empty if the image has it."
  type        = string

  validation {
    condition     = var.package == "" || can(regex("^[a-z0-9.+-]+(=[A-Za-z0-9.+:~-]+)?$", var.package))
    error_message = "A package is NAME or NAME=VERSION."
  }
}

variable "seal" {
  description = "Seal block, such as seal \"awskms\" {...}, with which servers unseal themselves; empty: people unseal each server after each start. No secret: a cloud's identity of the machine has to do."
  type        = string
  default     = ""

  validation {
    condition     = var.seal == "" || startswith(trimspace(var.seal), "seal ")
    error_message = "It is a block: seal \"awskms\" { ... }."
  }
}
