// The image that the container app runs now; a module of its own, because a
// template cannot both read and write one resource.

param name string
param exists bool

resource app 'Microsoft.App/containerApps@2024-03-01' existing = if (exists) {
  name: name
}

output image string = exists ? app.properties.template.containers[0].image : ''
