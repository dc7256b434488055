// The container app. Its key is a secret of the app, read by the container
// through MCP_API_KEY.

param name string
param location string
param tags object
param environmentId string
param identityId string
param registryEndpoint string
@secure()
param mcpApiKey string
param exists bool

// azd provisions before it has built an image: the first time a public
// placeholder runs, and afterwards whatever azd deployed last stays.
var placeholderImage = 'mcr.microsoft.com/azuredocs/containerapps-helloworld:latest'

module current 'current-image.bicep' = {
  name: 'current-image'
  params: {
    name: name
    exists: exists
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'mcp-server' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    managedEnvironmentId: environmentId
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 8000
        transport: 'http'
        allowInsecure: false
      }
      registries: [
        {
          server: registryEndpoint
          identity: identityId
        }
      ]
      secrets: [
        {
          name: 'mcp-api-key'
          value: mcpApiKey
        }
      ]
    }
    template: {
      containers: [
        {
          name: 'main'
          image: exists ? current.outputs.image : placeholderImage
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            {
              name: 'MCP_API_KEY'
              secretRef: 'mcp-api-key'
            }
          ]
        }
      ]
      // Sessions live in the server's memory: exactly one replica, so that every
      // request of a session finds it, and none is lost by scaling to zero.
      scale: {
        minReplicas: 1
        maxReplicas: 1
      }
    }
  }
}

output url string = 'https://${app.properties.configuration.ingress.fqdn}/mcp'
