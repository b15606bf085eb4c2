(function () {
  var select = document.getElementById("zone"), here = "";
  if (!select || select.form.dataset.chosen) return;
  try { here = Intl.DateTimeFormat().resolvedOptions().timeZone; } catch (error) { return; }
  if (!here || here === select.value) return;
  if (![].some.call(select.options, function (one) { return one.value === here; })) select.add(new Option(here));
  select.value = here;
  select.form.submit();
})();
