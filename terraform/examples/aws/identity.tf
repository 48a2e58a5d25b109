# Keys are made on the first server and go through these secrets, whose values Terraform neither makes nor reads.
resource "aws_kms_key" "cluster" {
  description         = "Keys of the cluster ${var.name}, and the seal of its Vault"
  enable_key_rotation = true
}

resource "aws_secretsmanager_secret" "keys" {
  for_each = toset(["server", "node"])

  name                    = "${var.name}/keys/${each.key}"
  description             = "Keys with which a ${each.key} joins"
  kms_key_id              = aws_kms_key.cluster.arn
  recovery_window_in_days = 7
}

locals {
  secret = { for role, secret in aws_secretsmanager_secret.keys : role => "aws --region ${var.aws_region} --output text secretsmanager %s-secret-value --secret-id ${secret.id}" }
  # A secret without a value is a new cluster; a store that does not answer is not.
  get = { for role, command in local.secret : role => "keys=$(${format(command, "get")} --query SecretString 2>&1) && echo \"$keys\" || case $keys in *ResourceNotFoundException*) echo empty ;; *) exit 1 ;; esac" }
  put = { for role, command in local.secret : role => "${format(command, "put")} --secret-string file:///dev/stdin >/dev/null" }

  statements = {
    server = [
      { actions = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"], resources = [for secret in aws_secretsmanager_secret.keys : secret.arn] },
      { actions = ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], resources = [aws_kms_key.cluster.arn] },
    ]
    node = [
      { actions = ["secretsmanager:GetSecretValue"], resources = [aws_secretsmanager_secret.keys["node"].arn] },
      { actions = ["kms:Decrypt"], resources = [aws_kms_key.cluster.arn] },
      { actions = ["autoscaling:CompleteLifecycleAction"], resources = ["arn:aws:autoscaling:${var.aws_region}:*:autoScalingGroup:*:autoScalingGroupName/${var.name}-gpu"] },
    ]
  }
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "role" {
  for_each = local.statements

  dynamic "statement" {
    for_each = each.value
    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

resource "aws_iam_role" "role" {
  for_each = local.statements

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "role" {
  for_each = local.statements

  name   = "cluster"
  role   = aws_iam_role.role[each.key].id
  policy = data.aws_iam_policy_document.role[each.key].json
}

resource "aws_iam_instance_profile" "role" {
  for_each = local.statements

  name = "${var.name}-${each.key}"
  role = aws_iam_role.role[each.key].name
}
