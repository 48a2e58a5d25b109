variable "aws_region" {
  description = "AWS region."
  type        = string
}

variable "name" {
  description = "Name of the cluster, in the names of what is made."
  type        = string
  default     = "cotrain"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,24}[a-z0-9])?$", var.name))
    error_message = "At most 26 lower case letters, digits and hyphens."
  }
}

variable "cidr" {
  description = "Address range of the network, a /16."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16")
    error_message = "A range like 10.40.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones; GPU nodes use the first, since traffic between zones is slow and paid for."
  type        = list(string)

  validation {
    condition     = contains([1, 3], length(var.zones))
    error_message = "One zone, or three, so that the loss of one leaves a majority."
  }
}

variable "image" {
  description = "AMI of Debian or Ubuntu with cloud-init and the AWS command line; with what the lists of packages leave out."
  type        = string
}

variable "gpu_image" {
  description = "AMI of GPU nodes, such as one with NVIDIA's driver; image unless given."
  type        = string
  default     = null
}

variable "server_type" {
  description = "Instance type of the servers."
  type        = string
  default     = "m7i.large"
}

variable "gpu_types" {
  description = "Instance types of GPU nodes, the preferred one first. With spot, several find capacity more often."
  type        = list(string)
}

variable "nodes" {
  description = "How many GPU nodes: at least, at most. Terraform does not undo what an autoscaler or a person sets in between."
  type = object({
    min = number
    max = number
  })

  validation {
    condition     = var.nodes.min >= 0 && var.nodes.min <= var.nodes.max
    error_message = "min is not more than max."
  }
}

variable "spot" {
  description = "True for spot instances: AWS takes one back two minutes after it has said so, in which its workers save."
  type        = bool
  default     = false
}

variable "repositories" {
  description = "Package repositories beside the image's; see module machine. Reached through the NAT gateway."
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
  description = "Root disk of a GPU node in GB: allocations, images and checkpoints that are not shared."
  type        = number
  default     = 500
}

variable "root_device" {
  description = "Name of the image's root device, /dev/sda1 with Ubuntu."
  type        = string
  default     = "/dev/xvda"
}
