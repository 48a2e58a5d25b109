# A private network: machines have no public addresses, and go out through a NAT gateway.
resource "aws_vpc" "cluster" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.cluster.id
  cidr_block        = cidrsubnet(var.cidr, 8, 0)
  availability_zone = var.zones[0]
  tags              = { Name = "${var.name}-nat" }
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in var.zones : zone => cidrsubnet(var.cidr, 4, index + 1) }

  vpc_id            = aws_vpc.cluster.id
  cidr_block        = each.value
  availability_zone = each.key
  tags              = { Name = "${var.name}-${each.key}" }
}

resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.cluster.id
}

resource "aws_eip" "nat" {
  domain = "vpc"
}

resource "aws_nat_gateway" "out" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public.id
  depends_on    = [aws_internet_gateway.out]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.cluster.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.out.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.cluster.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.out.id
  }
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

module "network" {
  source = "../../modules/network"

  servers   = [for subnet in values(aws_subnet.private) : subnet.cidr_block]
  nodes     = [aws_subnet.private[var.zones[0]].cidr_block]
  operators = var.operators
  users     = [var.cidr]
}

resource "aws_security_group" "role" {
  for_each = toset(["server", "node"])

  name        = "${var.name}-${each.key}"
  description = "CoTrain ${each.key}s"
  vpc_id      = aws_vpc.cluster.id
}

locals {
  # AWS takes one range a rule.
  rules = merge([
    for name, rule in module.network.rules : {
      for index, source in rule.sources : "${name}-${index}" => merge(rule, { source = source })
    }
  ]...)
}

resource "aws_vpc_security_group_ingress_rule" "in" {
  for_each = local.rules

  security_group_id = aws_security_group.role[each.value.role].id
  description       = each.value.description
  ip_protocol       = each.value.protocol
  from_port         = each.value.from_port
  to_port           = each.value.to_port
  cidr_ipv4         = each.value.source
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = aws_security_group.role

  security_group_id = each.value.id
  description       = "anywhere"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
