variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "gcp_region" {
  description = "Region of Google Cloud."
  type        = string
}

variable "name" {
  description = "Name of the cluster, in the names of what is made."
  type        = string
  default     = "cotrain"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", var.name))
    error_message = "At most 20 lower case letters, digits and hyphens; a letter first."
  }
}

variable "cidr" {
  description = "Address range of the network, a /16."
  type        = string
  default     = "10.50.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16")
    error_message = "A range like 10.50.0.0/16."
  }
}

variable "zones" {
  description = "Zones; GPU nodes use the first."
  type        = list(string)

  validation {
    condition     = contains([1, 3], length(var.zones))
    error_message = "One zone, or three, so that the loss of one leaves a majority."
  }
}

variable "image" {
  description = "Image of Debian or Ubuntu with curl and jq; with what the lists of packages leave out."
  type        = string
}

variable "gpu_image" {
  description = "Image of GPU nodes, such as one with NVIDIA's driver; image unless given."
  type        = string
  default     = null
}

variable "server_type" {
  description = "Machine type of the servers."
  type        = string
  default     = "e2-standard-2"
}

variable "gpu_type" {
  description = "Machine type of GPU nodes that has its GPUs, such as a3-highgpu-8g or g2-standard-48."
  type        = string
}

variable "accelerator" {
  description = "GPUs to attach to a machine type that has none of its own; null otherwise."
  type = object({
    type  = string
    count = number
  })
  default = null
}

variable "nodes" {
  description = "How many GPU nodes."
  type        = number
}

variable "spot" {
  description = "True for spot machines: Google shuts one down 30 seconds after it has said so, in which its workers save what they can."
  type        = bool
  default     = false
}

variable "repositories" {
  description = "Package repositories beside the image's; see module machine. Reached through Cloud NAT."
  type = list(object({
    name       = string
    uri        = string
    suite      = string
    components = optional(list(string), ["main"])
    key        = string
  }))
  default = []
}

variable "packages" {
  description = "Packages with =version to pin them; empty for what the image has."
  type = object({
    nomad  = string
    consul = string
    vault  = string
    gpu    = list(string)
    docker = optional(list(string), ["docker.io"])
  })
}

variable "operators" {
  description = "Address ranges from which people reach Nomad's API, through a VPN or a peering: nothing here has a public address."
  type        = list(string)
  default     = []
}

variable "disk_gb" {
  description = "Disk of a GPU node in GB."
  type        = number
  default     = 500
}
