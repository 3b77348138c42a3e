const place = document.getElementById("reference");

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  // Nothing is sent to a validator elsewhere.
  validatorUrl: null,
});
