# What the module makes of its variables in mode operator. Nothing is applied.

mock_provider "kubectl" {}
mock_provider "external" {}

variables {
  migrations = {
    shop = { image = "shop:1", database = { url_secret = { name = "shop-db" } } }
  }
}

run "least" {
  command = plan

  assert {
    condition = yamldecode(kubectl_manifest.dbupgrade["shop"].yaml_body) == yamldecode(yamlencode({
      apiVersion = "dbupgrade.subbug.learning/v1alpha1"
      kind       = "DBUpgrade"
      metadata = { name = "shop", namespace = "default", labels = {
        "app.kubernetes.io/component"        = "migrations"
        "app.kubernetes.io/managed-by"       = "terraform"
        "dbupgrade.subbug.learning/instance" = "migrations"
      } }
      spec = {
        migrations = { image = "shop:1" }
        database   = { type = "selfHosted", connection = { urlSecretRef = { name = "shop-db", key = "url" } } }
      }
    }))
    error_message = "What is left out must be left to the operator: ${nonsensitive(kubectl_manifest.dbupgrade["shop"].yaml_body)}"
  }
  assert {
    condition     = length(terraform_data.wait) == 1 && local.timeout == 600 && length(kubectl_manifest.credentials) == 0 && length(terraform_data.job) == 0 && length(terraform_data.namespace) == 0
    error_message = "It waits ten minutes, and makes nothing else."
  }
}

run "a_namespace_is_created_when_asked_for" {
  command = plan

  variables {
    create_namespace = true
    namespace        = "apps"
  }

  assert {
    condition     = length(terraform_data.namespace) == 1 && terraform_data.namespace[0].input.namespace == "apps"
    error_message = "The namespace is not created."
  }
}

run "everything" {
  command = plan

  variables {
    namespace            = "apps"
    name_prefix          = "blue-"
    timeout              = "2h"
    wait_for_completion  = false
    service_account_name = "migrator"
    labels               = { team = "shop" }
    resources            = { requests = { cpu = "100m" } }
    migrations = {
      web_shop = {
        image   = "shop:1"
        engine  = "Command"
        command = ["npm", "run", "migrate"]
        env = [
          { name = "NODE_ENV", value = "production" },
          { name = "TOKEN", secret = { name = "tokens", key = "shop" } },
          { name = "REGION", config_map = { name = "site", key = "region" } },
        ]
        image_pull_secrets = ["registry"]
        database = {
          host            = "postgres"
          name            = "shop"
          ssl_mode        = "require"
          user_secret     = { name = "shop-db" }
          password_secret = { name = "shop-db", key = "secret" }
        }
        runner = { active_deadline_seconds = 1200, wait_for_database_seconds = 60, backoff_limit = 3, run_as_user = 1000, pod_labels = { tier = "batch" } }
        spec   = yamlencode({ suspend = true, runner = { tolerations = [{ operator = "Exists" }] }, checks = { pre = { minPodVersions = [] } } })
        retry  = "once more"
      }
      old = { image = "old:1", enabled = false, database = { url_secret = { name = "old-db" } } }
    }
  }

  assert {
    condition     = keys(kubectl_manifest.dbupgrade) == ["web_shop"] && length(terraform_data.wait) == 0
    error_message = "What is not enabled is not there, and nothing is waited for."
  }
  assert {
    condition     = yamldecode(kubectl_manifest.dbupgrade["web_shop"].yaml_body).metadata.name == "blue-web-shop" && yamldecode(kubectl_manifest.dbupgrade["web_shop"].yaml_body).metadata.annotations["dbupgrade.subbug.learning/retry"] == "once more"
    error_message = "Name and annotations are wrong: ${nonsensitive(kubectl_manifest.dbupgrade["web_shop"].yaml_body)}"
  }
  assert {
    condition = jsonencode(yamldecode(kubectl_manifest.dbupgrade["web_shop"].yaml_body).spec) == jsonencode({
      migrations = {
        image   = "shop:1"
        engine  = "Command"
        command = ["npm", "run", "migrate"]
        env = [
          { name = "NODE_ENV", value = "production" },
          { name = "TOKEN", valueFrom = { secretKeyRef = { name = "tokens", key = "shop" } } },
          { name = "REGION", valueFrom = { configMapKeyRef = { name = "site", key = "region" } } },
        ]
        imagePullSecrets = [{ name = "registry" }]
      }
      database = {
        type = "selfHosted"
        connection = {
          host          = "postgres", port = 5432, database = "shop", sslMode = "require"
          userSecretRef = { name = "shop-db", key = "username" }, passwordSecretRef = { name = "shop-db", key = "secret" }
        }
      }
      runner = {
        activeDeadlineSeconds = 1200, waitForDatabaseSeconds = 60, backoffLimit = 3, runAsUser = 1000
        serviceAccountName    = "migrator", resources = { requests = { cpu = "100m" } }
        podLabels             = { team = "shop", tier = "batch" }, tolerations = [{ operator = "Exists" }]
      }
      suspend = true
      checks  = { pre = { minPodVersions = [] } }
    })
    error_message = "The spec is wrong: ${nonsensitive(kubectl_manifest.dbupgrade["web_shop"].yaml_body)}"
  }
  assert {
    condition     = jsonencode(output.migration_jobs_summary["old"]) == jsonencode({ enabled = false, mode = "operator", name = null, namespace = null, job_name = null, image = "old:1", engine = "Atlas", database = null })
    error_message = "The summary has what is not enabled, too."
  }
  assert {
    condition     = output.job_names["web_shop"] == null && output.names["web_shop"] == "blue-web-shop" && output.namespaces["web_shop"] == "apps"
    error_message = "The outputs are wrong."
  }
}

run "credentials" {
  command = plan

  variables {
    migrations = {
      shop    = { image = "shop:1", database = { host = "postgres", name = "shop", credentials_revision = "1" } }
      billing = { image = "billing:1", engine = "Psql", database = { host = "postgres", name = "billing", credentials_revision = "1" } }
    }
    credentials = {
      shop    = { user = "shop", password = "hunter2 +/?" }
      billing = { user = "billing", password = "hunter3" }
    }
  }

  assert {
    condition     = sort(keys(yamldecode(kubectl_manifest.credentials[0].yaml_body))) == tolist(["apiVersion", "kind", "metadata"]) && output.credentials_secret_name == "migration-db-credentials"
    error_message = "Terraform must not see what is in the Secret."
  }
  assert {
    condition     = yamldecode(kubectl_manifest.dbupgrade["shop"].yaml_body).spec.database.connection.userSecretRef == { name = "migration-db-credentials", key = "shop_db_user" }
    error_message = "The user comes from the module's Secret."
  }
  assert {
    condition     = yamldecode(kubectl_manifest.dbupgrade["billing"].yaml_body).spec.database.connection.passwordSecretRef == { name = "migration-db-credentials", key = "billing_db_password" }
    error_message = "So does the password."
  }
}

run "no_two_ways_to_connect" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", database = { url_secret = { name = "a" }, credentials_revision = "1", host = "b", name = "c" } } }
  }
  expect_failures = [var.migrations]
}

run "parts_need_host_and_name" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", database = { credentials_revision = "1", host = "b" } } }
  }
  expect_failures = [var.migrations]
}

run "keys_are_names" {
  command = plan

  variables {
    migrations = { "Shop!" = { image = "shop:1", database = { url_secret = { name = "a" } } } }
  }
  expect_failures = [var.migrations]
}

run "names_are_unique" {
  command = plan

  variables {
    migrations = {
      a-b = { image = "shop:1", database = { url_secret = { name = "a" } } }
      a_b = { image = "shop:1", database = { url_secret = { name = "a" } } }
    }
  }
  expect_failures = [var.migrations]
}

run "a_baseline_is_a_version" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", baseline = "1'; --", database = { url_secret = { name = "a" } } } }
  }
  expect_failures = [var.migrations]
}

run "an_order_is_one_of_three" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", exec_order = "Newest", database = { url_secret = { name = "a" } } } }
  }
  expect_failures = [var.migrations]
}

run "no_such_engine" {
  command = plan

  variables {
    migrations = { shop = { image = "shop:1", engine = "Flyway", database = { url_secret = { name = "a" } } } }
  }
  expect_failures = [var.migrations]
}

run "no_such_time" {
  command = plan

  variables {
    timeout = "ten minutes"
  }
  expect_failures = [var.timeout]
}
