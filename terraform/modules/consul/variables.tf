variable "datacenter" {
  description = "Consul's datacenter: machines that are within 10 ms or so of each other."
  type        = string
  default     = "dc1"

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.datacenter))
    error_message = "A datacenter has lower case letters, digits and hyphens."
  }
}

variable "primary_datacenter" {
  description = "Datacenter that keeps the rights of all; empty for a single one."
  type        = string
  default     = ""
}

variable "servers" {
  description = "Addresses of Consul's servers: 3 or 5, 1 to try it out."
  type        = list(string)

  validation {
    condition     = length(var.servers) % 2 == 1
    error_message = "An odd number of servers: an even one tolerates no more failures than one less."
  }
}

variable "wan_servers" {
  description = "Addresses of servers in other datacenters, to measure distances and find services there."
  type        = list(string)
  default     = []
}

variable "addresses" {
  description = "Address of each machine, by its name; machines that are not named advertise their private address."
  type        = map(string)
  default     = {}
}

variable "package" {
  description = "Package of the agent, with =version to pin it; empty if the image has it."
  type        = string

  validation {
    condition     = var.package == "" || can(regex("^[a-z0-9.+-]+(=[A-Za-z0-9.+:~-]+)?$", var.package))
    error_message = "A package is NAME or NAME=VERSION."
  }
}
