// One MCP server on Azure Container Apps, in a resource group of its own.

targetScope = 'subscription'

@description('Name of the azd environment; every resource carries it as a tag.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Azure region of all resources.')
@minLength(1)
param location string

@description('The key that callers of the MCP server must send in an api-key header.')
@secure()
@minLength(16)
param mcpApiKey string

@description('Whether the container app exists already; set by azd.')
param mcpServerExists bool = false

var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2021-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module resources 'modules/resources.bicep' = {
  name: 'resources'
  scope: group
  params: {
    location: location
    tags: tags
    mcpApiKey: mcpApiKey
    mcpServerExists: mcpServerExists
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = resources.outputs.registryEndpoint
output MCP_SERVER_URL string = resources.outputs.mcpServerUrl
