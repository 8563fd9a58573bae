-- Health of a DBUpgrade for Argo CD: Healthy lets the next sync wave start, Degraded stops the sync.
local health = { status = "Progressing", message = "the operator has not looked at this change yet" }

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
  return health
end

local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end

local ready, progressing, stalled = conditions.Ready, conditions.Progressing, conditions.Stalled
local told = progressing or ready
if told == nil then
  return health
end

health.message = told.reason .. ": " .. (told.message or "")
if ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
elseif stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
elseif told.reason == "Suspended" then
  health.status = "Suspended"
end
-- Everything else ends by itself or with an approval: a run, a check that is waited for, a failure that is tried again.
return health
