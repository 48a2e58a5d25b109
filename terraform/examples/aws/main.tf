locals {
  # Fixed addresses: a server that is replaced comes back where the others look for it.
  servers = {
    for index in range(3) : "server-${index + 1}" => {
      zone    = var.zones[index % length(var.zones)]
      address = cidrhost(aws_subnet.private[var.zones[index % length(var.zones)]].cidr_block, 10 + index)
    }
  }
  addresses = { for name, server in local.servers : name => server.address }

  # From the machine itself, with a token, since others can make a machine ask for plain addresses.
  metadata = "curl -sf -H \"X-aws-ec2-metadata-token: $(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)\" http://169.254.169.254/latest/meta-data"
  hook     = "drain"
}

module "consul" {
  source = "../../modules/consul"

  servers   = values(local.addresses)
  addresses = local.addresses
  package   = var.packages.consul
}

module "vault" {
  source = "../../modules/vault"

  servers = local.addresses
  package = var.packages.vault
  seal    = <<-HCL
    seal "awskms" {
      region     = "${var.aws_region}"
      kms_key_id = "${aws_kms_key.cluster.key_id}"
    }
  HCL
}

module "servers" {
  source = "../../modules/nomad-servers"

  cluster       = var.name
  machines      = { for name, address in local.addresses : name => { address = address } }
  parts         = [module.consul.server, module.vault.server]
  package       = var.packages.nomad
  repositories  = var.repositories
  vault_address = module.vault.address
  consul        = true
  keys          = { get = local.get["server"], put = local.put["server"], nodes_put = local.put["node"] }
  # The store's nodes renew before that.
  certificate_days = 30
}

module "nodes" {
  source = "../../modules/gpu-clients"

  cluster            = module.servers.cluster
  zone               = var.zones[0]
  parts              = [module.consul.client]
  package            = var.packages.nomad
  gpu_packages       = var.packages.gpu
  container_packages = var.packages.docker
  packages           = ["curl"]
  repositories       = var.repositories
  vault_address      = module.vault.address
  consul             = true
  keys_get           = local.get["node"]
  drain              = { deadline = var.spot ? 5 : 10, save = var.spot ? 90 : 300 }
  interruption = {
    command = "${local.metadata}/spot/instance-action || [ \"$(${local.metadata}/autoscaling/target-lifecycle-state)\" = Terminated ]"
    drained = "aws --region ${var.aws_region} autoscaling complete-lifecycle-action --lifecycle-hook-name ${local.hook} --auto-scaling-group-name ${var.name}-gpu --lifecycle-action-result CONTINUE --instance-id \"$(${local.metadata}/instance-id)\" || :"
  }
}

resource "aws_instance" "server" {
  for_each = local.servers

  ami                    = var.image
  instance_type          = var.server_type
  subnet_id              = aws_subnet.private[each.value.zone].id
  private_ip             = each.value.address
  vpc_security_group_ids = [aws_security_group.role["server"].id]
  iam_instance_profile   = aws_iam_instance_profile.role["server"].name
  user_data_base64       = base64gzip(module.servers.scripts[each.key])
  tags                   = { Name = "${var.name}-${each.key}" }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 50
    encrypted   = true
    kms_key_id  = aws_kms_key.cluster.arn
  }

  depends_on = [aws_iam_role_policy.role, aws_route_table_association.private]

  lifecycle {
    # A new image or script counts for servers that are replaced, one after the other: terraform apply -replace='aws_instance.server["server-1"]'.
    ignore_changes = [ami, user_data_base64]
  }
}

resource "aws_launch_template" "gpu" {
  name                   = "${var.name}-gpu"
  image_id               = coalesce(var.gpu_image, var.image)
  user_data              = base64gzip(module.nodes.script)
  vpc_security_group_ids = [aws_security_group.role["node"].id]
  update_default_version = true

  iam_instance_profile {
    name = aws_iam_instance_profile.role["node"].name
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = var.root_device

    ebs {
      volume_type = "gp3"
      volume_size = var.disk_gb
      encrypted   = true
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-gpu" }
  }
}

# Workers exchange gradients: near each other in one rack, if AWS can.
resource "aws_placement_group" "gpu" {
  name     = "${var.name}-gpu"
  strategy = "cluster"
}

resource "aws_autoscaling_group" "gpu" {
  name                = "${var.name}-gpu"
  min_size            = var.nodes.min
  max_size            = var.nodes.max
  vpc_zone_identifier = [aws_subnet.private[var.zones[0]].id]
  placement_group     = var.spot ? null : aws_placement_group.gpu.id
  health_check_type   = "EC2"
  # With spot, a machine that AWS is likely to take back is replaced before it does.
  capacity_rebalance = var.spot

  mixed_instances_policy {
    instances_distribution {
      on_demand_percentage_above_base_capacity = var.spot ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.gpu.id
        version            = aws_launch_template.gpu.latest_version
      }

      dynamic "override" {
        for_each = var.gpu_types
        content {
          instance_type = override.value
        }
      }
    }
  }

  # Who goes is drained first: cotrain-watch sees the state, drains, and says when it is done.
  initial_lifecycle_hook {
    name                 = local.hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 900
    default_result       = "CONTINUE"
  }

  lifecycle {
    ignore_changes = [desired_capacity]
  }
}
