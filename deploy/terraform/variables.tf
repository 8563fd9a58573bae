variable "migrations" {
  description = <<-EOT
    The migrations to run, one DBUpgrade each; its key becomes the name (with `-` in place of `_`). Fields that are not set have the operator's defaults.

    - `enabled`: if false, the migration is treated as if it were not in the map.
    - `image`, `dir`, `engine` (Atlas, Psql, Command), `delivery`, `baseline`, `exec_order`, `revisions_schema`, `command`, `args`, `image_pull_secrets`: `spec.migrations`. An entry of
      `env` has a `name` and one of `value`, `secret` and `config_map`.
    - `database.type`: selfHosted, awsRds or awsAurora. The connection is one of
      - `url_secret`: a Secret of yours with a URL;
      - `host`, `port`, `name`, `schema`, `ssl_mode`, `ca_secret` (for verify-ca and verify-full) with `user_secret` and `password_secret`, keys of Secrets of yours;
      - `host`, `port`, `name`, … with `credentials_revision`: user and password come from `var.credentials`, and the module writes them
        into a Secret. Change the revision when they change;
      - `aws`: IAM authentication.
    - `runner`: `spec.runner`; takes precedence over `resources`, `service_account_name` and `labels` of the module.
    - `spec`: additional fields of the DBUpgrade's spec, as JSON or YAML, for example `yamlencode({ checks = … })`. A field below `migrations`, `database` or `runner`
      replaces only that field; any other field replaces the whole block.
    - `retry`: a new value retries a failed run.
  EOT
  type = map(object({
    enabled            = optional(bool, true)
    image              = string
    dir                = optional(string)
    engine             = optional(string, "Atlas")
    delivery           = optional(string)
    baseline           = optional(string)
    exec_order         = optional(string)
    revisions_schema   = optional(string)
    command            = optional(list(string), [])
    args               = optional(list(string), [])
    image_pull_secrets = optional(list(string), [])
    env = optional(list(object({
      name       = string
      value      = optional(string)
      secret     = optional(object({ name = string, key = string }))
      config_map = optional(object({ name = string, key = string }))
    })), [])
    database = object({
      type                 = optional(string, "selfHosted")
      url_secret           = optional(object({ name = string, key = optional(string, "url") }))
      host                 = optional(string)
      port                 = optional(number, 5432)
      name                 = optional(string)
      schema               = optional(string)
      ssl_mode             = optional(string)
      ca_secret            = optional(object({ name = string, key = optional(string, "ca.crt") }))
      user_secret          = optional(object({ name = string, key = optional(string, "username") }))
      password_secret      = optional(object({ name = string, key = optional(string, "password") }))
      credentials_revision = optional(string)
      aws = optional(object({
        role_arn = string
        region   = string
        host     = string
        port     = optional(number)
        db_name  = string
        username = string
        dialect  = optional(string)
      }))
    })
    runner = optional(object({
      active_deadline_seconds    = optional(number)
      ttl_seconds_after_finished = optional(number)
      wait_for_database_seconds  = optional(number)
      backoff_limit              = optional(number)
      run_as_user                = optional(number)
      run_as_group               = optional(number)
      resources                  = optional(object({ requests = optional(map(string), {}), limits = optional(map(string), {}) }))
      service_account_name       = optional(string)
      image_pull_secrets         = optional(list(string), [])
      node_selector              = optional(map(string), {})
      priority_class_name        = optional(string)
      pod_labels                 = optional(map(string), {})
      pod_annotations            = optional(map(string), {})
    }), {})
    spec  = optional(string, "{}")
    retry = optional(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.migrations) : can(regex("^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$", key))])
    error_message = "A key of migrations becomes part of names in Kubernetes: it must have at most 40 characters (a-z, 0-9, - and _), and begin and end with a letter or digit."
  }

  validation {
    condition     = length(distinct([for key in keys(var.migrations) : replace(key, "_", "-")])) == length(var.migrations)
    error_message = "Two keys of migrations that differ only in - and _ would be the same DBUpgrade: rename one of them."
  }

  validation {
    condition     = alltrue([for migration in values(var.migrations) : contains(["Atlas", "Psql", "Command"], migration.engine)])
    error_message = "migrations.*.engine must be Atlas, Psql or Command."
  }

  validation {
    condition     = alltrue([for migration in values(var.migrations) : migration.baseline == null || can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", migration.baseline))])
    error_message = "migrations.*.baseline must be the version of a file: letters, digits, '.', '_' and '-', beginning with a letter or digit."
  }

  validation {
    condition     = alltrue([for migration in values(var.migrations) : migration.exec_order == null || contains(["Linear", "LinearSkip", "NonLinear"], coalesce(migration.exec_order, "Linear"))])
    error_message = "migrations.*.exec_order must be Linear, LinearSkip or NonLinear."
  }

  validation {
    condition = alltrue([for migration in values(var.migrations) : length([for way in [
      migration.database.url_secret,
      migration.database.aws,
      migration.database.credentials_revision,
      migration.database.user_secret,
    ] : way if way != null]) == 1])
    error_message = "migrations.*.database must contain exactly one of url_secret, user_secret with password_secret, credentials_revision, and aws."
  }

  validation {
    condition = alltrue([for migration in values(var.migrations) :
      (migration.database.user_secret == null) == (migration.database.password_secret == null)
    ])
    error_message = "migrations.*.database.user_secret and password_secret must be set together."
  }

  validation {
    condition = alltrue([for migration in values(var.migrations) :
      migration.database.host != null && migration.database.name != null
      if migration.database.user_secret != null || migration.database.credentials_revision != null
    ])
    error_message = "migrations.*.database.user_secret and credentials_revision require host and name."
  }

  validation {
    condition     = alltrue([for migration in values(var.migrations) : can(keys(yamldecode(migration.spec)))])
    error_message = "migrations.*.spec must be a mapping, as JSON or YAML: yamlencode({ checks = … })."
  }
}

variable "namespace" {
  description = "Namespace of the DBUpgrades (or Jobs), their Secrets and pods. It must exist, unless `create_namespace` is true."
  type        = string
  default     = "default"
  nullable    = false
}

variable "create_namespace" {
  description = "Create the namespace if it does not exist. `destroy` deletes it only if the module created it and nothing is left in it; otherwise it says what it keeps."
  type        = bool
  default     = false
  nullable    = false
}

variable "name_prefix" {
  description = "Prefix of all names, so that two instances of the module can share a namespace, for example `blue-`."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]([a-z0-9-]{0,10})?)?$", var.name_prefix))
    error_message = "name_prefix must have at most 11 characters (a-z, 0-9 and -), and begin with a letter."
  }
}

variable "mode" {
  description = "`operator` creates DBUpgrades. `job` creates the Jobs directly, for clusters without the operator; it does not support checks and AWS, and its lock applies only to runs of this module."
  type        = string
  default     = "operator"
  nullable    = false

  validation {
    condition     = contains(["operator", "job"], var.mode)
    error_message = "mode must be operator or job."
  }

  validation {
    condition = var.mode == "operator" || alltrue([for migration in values(var.migrations) :
      migration.database.aws == null && !can(yamldecode(migration.spec).checks) && !can(yamldecode(migration.spec).suspend)
    ])
    error_message = "mode job does not support database.aws, checks and suspend: these need the operator."
  }
}

variable "wait_for_completion" {
  description = "Wait until each migration is done, and fail as soon as one fails. If false, `apply` does not wait."
  type        = bool
  default     = true
  nullable    = false
}

variable "timeout" {
  description = "How long to wait for a migration, for example `90s`, `10m` or `1h`. After that, the apply fails, but the migration continues. The limit of the run itself is `runner.active_deadline_seconds`."
  type        = string
  default     = "10m"
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]*[smh]$", var.timeout))
    error_message = "timeout must be a number followed by s, m or h, for example 10m."
  }
}

variable "resources" {
  description = "Resources of each container of each migration."
  type        = object({ requests = optional(map(string), {}), limits = optional(map(string), {}) })
  default     = {}
  nullable    = false
}

variable "service_account_name" {
  description = "Service account of the pods; its token is not mounted. Defaults to the namespace's default service account."
  type        = string
  default     = ""
  nullable    = false
}

variable "labels" {
  description = "Labels of all objects that the module creates, including pods."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "credentials" {
  description = "User and password of migrations with `database.credentials_revision`, by their key. Ephemeral: they are not stored in plan or state, only in the Secret."
  type        = map(object({ user = string, password = string }))
  default     = {}
  nullable    = false
  sensitive   = true
  ephemeral   = true
}

variable "kubectl" {
  description = "The kubectl command with which the module waits, writes credentials and reads the names of Jobs, and with which each of `helpful_commands` begins, as in a shell: `kubectl --context prod`."
  type        = string
  default     = "kubectl"
  nullable    = false
}

variable "images" {
  description = "Images of mode `job`: `crane` (with sh and tar) fetches files, `runner` waits for the database and applies them."
  type = object({
    crane  = optional(string, "subbug/dbupgrade-crane:0.22.1")
    runner = optional(string, "subbug/dbupgrade-migrate:0.1.0")
  })
  default  = {}
  nullable = false
}
