# create_namespace: destroyed only if the module created it and nothing is left in it, because what somebody else put there, such
# as a Secret, cannot be brought back. So it is no resource of a provider, which would delete it with everything in it.

resource "terraform_data" "namespace" {
  count = var.create_namespace ? 1 : 0

  triggers_replace = var.namespace
  input            = { kubectl = var.kubectl, namespace = var.namespace }

  provisioner "local-exec" {
    interpreter = ["sh", "-c"]
    command     = "sh \"$SCRIPT\" create ${var.kubectl}"
    environment = {
      SCRIPT    = "${path.module}/scripts/namespace.sh"
      NAMESPACE = var.namespace
      ID        = self.id
      LABELS    = jsonencode(merge(var.labels, { "app.kubernetes.io/managed-by" = "terraform" }))
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["sh", "-c"]
    command     = "sh \"$SCRIPT\" remove ${self.input.kubectl}"
    environment = {
      SCRIPT    = "${path.module}/scripts/namespace.sh"
      NAMESPACE = self.input.namespace
      ID        = self.id
    }
  }
}
