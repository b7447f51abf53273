/** The one place that knows which library draws the pages. */

import { Component, Fragment, createContext, h, render } from "../vendor/preact.mjs";
import {
  useCallback,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "../vendor/hooks.mjs";
import htm from "../vendor/htm.mjs";

const html = htm.bind(h);

function same(a, b) {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.is(a[name], b[name]));
}

/** A component that is drawn again only when one of its properties has changed. */
function memo(Inner, equal = same) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return !equal(this.props, next);
    }

    render() {
      return h(Inner, this.props);
    }
  };
}

export {
  Component,
  Fragment,
  createContext,
  html,
  memo,
  render,
  useCallback,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
};
