# Credentials that came as input: one Secret for the instance. Terraform looks after the Secret, but never sees what is in
# it: the values go from ephemeral variables through the environment of kubectl into the cluster.

resource "kubectl_manifest" "credentials" {
  count = length(local.with_credentials) > 0 ? 1 : 0

  server_side_apply = true
  force_conflicts   = true
  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = local.secret, namespace = var.namespace, labels = local.labels }
  })

  depends_on = [terraform_data.namespace]
}

resource "terraform_data" "credentials" {
  count = length(local.with_credentials) > 0 ? 1 : 0

  triggers_replace = [
    kubectl_manifest.credentials[0].uid,
    { for key, migration in local.with_credentials : key => migration.database.credentials_revision },
  ]

  provisioner "local-exec" {
    interpreter = ["sh", "-c"]
    command     = "printf '%s' \"$SECRET\" | ${var.kubectl} apply --server-side --force-conflicts --field-manager=dbupgrade-credentials --filename=-"
    environment = {
      SECRET = jsonencode({
        apiVersion = "v1"
        kind       = "Secret"
        metadata   = { name = local.secret, namespace = var.namespace }
        data = merge([for key, migration in local.with_credentials : {
          "${key}_db_user"     = base64encode(var.credentials[key].user)
          "${key}_db_password" = base64encode(var.credentials[key].password)
        }]...)
      })
    }
  }
}
