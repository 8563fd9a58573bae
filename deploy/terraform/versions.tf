terraform {
  # Ephemeral variables: OpenTofu 1.11, Terraform 1.11.
  required_version = ">= 1.11.0"

  required_providers {
    kubectl = {
      source  = "gavinbunney/kubectl"
      version = ">= 1.19.0"
    }
    external = {
      source  = "hashicorp/external"
      version = ">= 1.2.0"
    }
  }
}
