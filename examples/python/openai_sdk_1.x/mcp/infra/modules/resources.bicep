// What the MCP server needs around it: a place to run, a place for its image
// and its logs, and an identity that may pull the image.

param location string
param tags object
@secure()
param mcpApiKey string
param mcpServerExists bool

var suffix = uniqueString(resourceGroup().id)

// The built-in role AcrPull.
var acrPullRoleId = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '7f951dda-4ed3-4680-a7ca-43fe172d538d'
)

resource logs 'Microsoft.OperationalInsights/workspaces@2022-10-01' = {
  name: 'log-${suffix}'
  location: location
  tags: tags
  properties: {
    retentionInDays: 30
    sku: { name: 'PerGB2018' }
  }
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: 'cr${suffix}'
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: {
    adminUserEnabled: false
  }
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${suffix}'
  location: location
  tags: tags
}

resource mayPull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, identity.id, acrPullRoleId)
  scope: registry
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: acrPullRoleId
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: 'cae-${suffix}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

module mcpServer 'mcp-server.bicep' = {
  name: 'mcp-server'
  dependsOn: [mayPull]
  params: {
    name: 'ca-mcp-${suffix}'
    location: location
    tags: tags
    environmentId: environment.id
    identityId: identity.id
    registryEndpoint: registry.properties.loginServer
    mcpApiKey: mcpApiKey
    exists: mcpServerExists
  }
}

output registryEndpoint string = registry.properties.loginServer
output mcpServerUrl string = mcpServer.outputs.url
