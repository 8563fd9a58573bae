variable "namespace" {
  description = "Namespace of the migrations. It has to be there."
  type        = string
  default     = "default"
}

variable "service_account_name" {
  description = "Service account of the pods; its token is not mounted."
  type        = string
  default     = "default"
}

variable "mode" {
  description = "`operator` makes DBUpgrades; `job` makes Jobs directly, for clusters without the operator. (New.)"
  type        = string
  default     = "operator"
}

variable "kubectl" {
  description = "The command that waits, writes credentials and begins each of `helpful_commands`; words for a shell. (New.)"
  type        = string
  default     = "kubectl"
}

variable "credentials_revision" {
  description = "Change it when a user or password changes: they are ephemeral, so that Terraform cannot see a change. (New.)"
  type        = string
  default     = "1"
}

variable "supabase_baseline" {
  description = "Version (what stands before the first `_` in a file's name) that Supabase's database is at, if the old Jobs have migrated it; not for mode `job`. (New.)"
  type        = string
  default     = null
}

variable "components_v2_baseline" {
  description = "The same for components-v2's database. (New.)"
  type        = string
  default     = null
}

variable "run_control_plane_migrations" {
  description = "Whether to migrate the control plane."
  type        = bool
  default     = true
}

variable "run_supabase_migrations" {
  description = "Whether to migrate Supabase."
  type        = bool
  default     = true
}

variable "run_components_v2_migrations" {
  description = "Whether to migrate components-v2."
  type        = bool
  default     = true
}

variable "control_plane_db_host" {
  description = "Host of the control plane's PostgreSQL."
  type        = string
}

variable "control_plane_db_port" {
  description = "Port of the control plane's PostgreSQL."
  type        = number
  default     = 5432
}

variable "control_plane_db_name" {
  description = "Database of the control plane."
  type        = string
  default     = "arc_saas"
}

variable "control_plane_db_user" {
  description = "User of the control plane's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "control_plane_db_password" {
  description = "Password of the control plane's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "control_plane_db_schema" {
  description = "Schema of the control plane's database."
  type        = string
  default     = "tenant_management"
}

variable "supabase_db_host" {
  description = "Host of Supabase's PostgreSQL."
  type        = string
}

variable "supabase_db_port" {
  description = "Port of Supabase's PostgreSQL."
  type        = number
  default     = 27432
}

variable "supabase_db_name" {
  description = "Database of Supabase."
  type        = string
  default     = "postgres"
}

variable "supabase_db_user" {
  description = "User of Supabase's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "supabase_db_password" {
  description = "Password of Supabase's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "components_v2_db_host" {
  description = "Host of components-v2's PostgreSQL."
  type        = string
}

variable "components_v2_db_port" {
  description = "Port of components-v2's PostgreSQL."
  type        = number
  default     = 27010
}

variable "components_v2_db_name" {
  description = "Database of components-v2."
  type        = string
  default     = "components_v2"
}

variable "components_v2_db_user" {
  description = "User of components-v2's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "components_v2_db_password" {
  description = "Password of components-v2's database. Ephemeral: in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "control_plane_migration_image" {
  description = "Image of the control plane; `npm run migrate` migrates in it, with DB_HOST, DB_PORT, DB_DATABASE, DB_USER, DB_PASSWORD and DB_SCHEMA."
  type        = string
  default     = "ananta/tenant-management-service:latest"
}

variable "supabase_migration_image" {
  description = "Image with Supabase's `/migrations/*.sql`; in mode `job` with sh and psql too."
  type        = string
  default     = "postgres:15-alpine"
}

variable "components_v2_migration_image" {
  description = "Image with components-v2's `/migrations/*.sql`; in mode `job` with sh and psql too."
  type        = string
  default     = "postgres:15-alpine"
}

variable "runner_image" {
  description = "Image that waits for the databases, and applies the migrations of engine Atlas."
  type        = string
  default     = "subbug/dbupgrade-migrate:0.1.0"
  nullable    = false
}

variable "postgres_wait_image" {
  description = "Accepted as before, and not used: `runner_image` waits for the databases."
  type        = string
  default     = "postgres:15-alpine"
}

variable "migration_resources" {
  description = "Resources of each container."
  type = object({
    requests = object({ cpu = string, memory = string })
    limits   = object({ cpu = string, memory = string })
  })
  default = {
    requests = { cpu = "100m", memory = "256Mi" }
    limits   = { cpu = "500m", memory = "512Mi" }
  }
}

variable "migration_timeout" {
  description = "How long a migration may take, and how long to wait for it: `90s`, `10m`, `1h`."
  type        = string
  default     = "10m"
}

variable "wait_for_completion" {
  description = "Wait until the migrations are done; fail when one fails, as soon as it does."
  type        = bool
  default     = true
}

variable "labels" {
  description = "More labels for everything that the module makes."
  type        = map(string)
  default     = {}
}
